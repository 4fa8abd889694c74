"""Ways for a code to reach a user: a mail server, or the server's own log."""
