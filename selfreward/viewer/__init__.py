"""The web page for judged pairs: Starlette and Jinja over `query/`. It writes nothing but overrides."""
