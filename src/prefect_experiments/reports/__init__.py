"""What was found, as text: on the terminal and in Prefect's artifacts."""
