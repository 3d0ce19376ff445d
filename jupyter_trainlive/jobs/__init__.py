"""What the server knows of its jobs: submission, follower, cancellation, manager."""
