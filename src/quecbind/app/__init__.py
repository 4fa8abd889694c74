"""The App's side: find a device nearby, learn its bind code, have the platform bind it, and manage what is bound.

`client` speaks HTTP to the platform, `lan` speaks to devices on the local network, `pairing` joins the two.
"""
