"""Where a job runs: the shim that supervises it, the provisioner that starts the shim, the launcher.

All but `provisioner` and `launcher` need the standard library only. Those two are the server's side and speak
to kernels through jupyter_client.
"""
