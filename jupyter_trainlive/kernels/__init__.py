"""Where a job runs: the shim that supervises it, the provisioner that starts the shim, the launcher.

`shim`, `processes` and `work` need the standard library only. `provisioner` and `launcher` are the
server's side and speak to kernels through jupyter_client.
"""
