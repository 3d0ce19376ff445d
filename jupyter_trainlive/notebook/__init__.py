"""What a notebook shows: the widget of a job, and its place as a cell's last line."""
