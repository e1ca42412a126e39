"""A fleet of trading engines that never stops trading because one of them did.

This file imports nothing: `levi ctl status --json` pays for every import at each run of cron.
The parts of the package by layer. A part imports only layers with a higher number:

    1  cli           Typer commands, thin; `levi ctl status` without Typer
    2  training      `levi train`: from market data to a model that fleet.toml can name
    3  replay        the same fleet over recorded data, in virtual time
    4  app           the composition root: builds the fleet from concrete classes and runs it
    5  http          REST, metrics and the page, when fleet.toml has [http]
    5  testing       a strategy over a list of events, for users' own tests
    6  gateway       signals to orders: sizing, risk, journal, broker, positions
    6  engine        market events to signals: one incarnation of one symbol, and its inbox
    6  inference     features, models in worker processes, the ensemble strategy
    6  control       JSON-RPC on a Unix socket: protocol, methods, server, client
    6  config        fleet.toml to `FleetConfig`, with the line of each error
    7  venues        exchanges: binance, the built-in simulator, paper; the recording format
    7  records       what is remembered: journal, snapshots, logs, metrics, alerts, locks
    7  supervision   starting, restarting and ending children; the watchdog. Knows no trading
    7  strategies    what users write against, and the built-in strategies
    8  trading       the rules of trading: orders, matching, positions, sizing, risk. Pure
    9  errors        the exceptions of the package
    9  regular_file  opens a path only if it is a small regular file
"""
