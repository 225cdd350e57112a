"""How a sandbox is started, asked, looked at and broken."""
