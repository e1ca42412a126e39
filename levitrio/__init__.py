"""A fleet of trading engines that never stops trading because one of them did.

This file stays empty of imports: `levi ctl status --json` pays for every one of them.
The rooms of the house, from the street to the cellar; imports only ever go down:

    cli                     Typer commands, thin
    replay                  the same fleet over recorded data, in its own time
    app                     the composition root: assembles the concrete classes
    http                    REST, metrics and the page, when fleet.toml has [http]
    control                 JSON-RPC on a Unix socket: protocol, methods, server, client
    testing                 a strategy over a list of events, for users' own tests
    engine, gateway         market events to signals; signals to orders
    records, fleet, inbox   what is remembered; fleet.toml; the queue between feed and engine
    venues                  everything that speaks to an exchange, real, simulated or paper
    strategies              what users write against
    trading, supervision    the rules of trading; the rules of restarting. Neither knows the other
    errors
"""
