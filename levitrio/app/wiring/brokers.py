"""Builds account, credentials and broker from `[broker]`, and guards against a wrong account."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from pathlib import Path

from levitrio.app import settings
from levitrio.config.sections import FleetConfig
from levitrio.config.validation import environment
from levitrio.control import paths
from levitrio.errors import UsageError
from levitrio.gateway.account import Account
from levitrio.gateway.symbol_state import SymbolState
from levitrio.records.journal.entries import History
from levitrio.records.locks.account_lock import AccountLock
from levitrio.trading.orders import Fill
from levitrio.trading.position import Position
from levitrio.venues.binance.orders.broker import BinanceBroker, OnBrokerEvent
from levitrio.venues.binance.orders.credentials import Credentials, read_key_file
from levitrio.venues.binance.orders.signing import HmacKey
from levitrio.venues.binance.rate_limits.request_weight import WeightLimiter
from levitrio.venues.binance.websocket.network import OpenStream
from levitrio.venues.simulator.exchange.accounts import ApiKey

BINANCE_ORDERS = "wss://ws-api.binance.com:443/ws-api/v3"
"""The order interface of Binance production."""


def check_live(config: FleetConfig, *, live: bool) -> None:
    """Check that `--live` and `[broker] kind = "binance"` come together.

    Binance's test networks need both as well, so that operators do not get used to leaving one out.

    Raises:
        UsageError: Only one of them is there.
    """
    kind = config.broker.kind
    if live and kind != "binance":
        raise UsageError(
            f'--live: expected [broker] kind = "binance" in {config.file}, came "{kind}"; '
            "run it without --live"
        )
    if not live and kind == "binance":
        raise UsageError(
            f'{config.file}: [broker] kind = "binance" sends orders to the exchange '
            f"({environment(config.broker.url)}); if you want that, add --live, "
            'otherwise say kind = "paper"'
        )


def open_credentials(config: FleetConfig, make_token: Callable[[], str]) -> Credentials | None:
    """The key that signs orders; None on paper.

    For the built-in simulator a key is made for this run, of two fresh tokens.

    Raises:
        UsageError: The key file cannot be used, or `[broker]` names none and needs one.
    """
    broker = config.broker
    if broker.kind == "paper":
        return None
    if broker.key_file is not None:
        return read_key_file(broker.key_file)
    if broker.kind == "simulator" and config.simulator is not None and broker.url is None:
        return Credentials.of(make_token(), make_token())
    raise UsageError(
        f"{config.file}: expected [broker] key_file with the key of that account, came none"
    )


def guard_account(
    config: FleetConfig, credentials: Credentials | None
) -> AbstractContextManager[object]:
    """A lock on the account, so that no second fleet trades on it; none without a key file.

    Entering it raises FleetLocked when another fleet holds the lock.
    """
    if credentials is None or config.broker.key_file is None:
        return nullcontext()
    directory = Path(paths.home()) / ".local" / "state" / "levitrio" / "accounts"
    return AccountLock(directory, credentials.fingerprint, config.fleet.name)


def venue_name(config: FleetConfig) -> str:
    """The venue's name in fills, which tells trades of a test network from real ones."""
    if config.broker.kind != "binance":
        return config.broker.kind
    where = environment(config.broker.url)
    return "binance" if where == "production" else f"binance-{where}"


def check_history(config: FleetConfig, history: History) -> None:
    """Check that the journal's history is of the venue that orders go to.

    Positions bought on paper cannot be sold at a real venue.

    Raises:
        UsageError: The journal has fills or equity of another venue.
    """
    ours, venues = venue_name(config), {fill.venue for fill in history.fills}
    if history.equity is not None:
        venues.add(history.equity.account.partition(":")[0])
    if others := sorted(venues - {ours}):
        raise UsageError(
            f"{config.fleet.journal}: expected the history of {ours}, where orders go "
            f"({config.file}: [broker]), came that of {', '.join(others)}; give this fleet another "
            "[fleet] data_dir"
        )


def make_account(config: FleetConfig, symbol_states: Mapping[str, SymbolState]) -> Account:
    """The account as it is before the gateway restores it and the venue reports its balances.

    On paper and on the built-in simulator its capital is `[broker] cash`; the capital of a real
    account is unknown until the venue reports it.
    """
    kind, cash = config.broker.kind, config.broker.cash
    return Account(
        symbol_states=symbol_states,
        name=venue_name(config),
        capital=Decimal(0) if kind == "binance" else cash,
        is_capital_known=kind == "paper",
        slippage=config.broker.slippage,
    )


def make_binance(
    config: FleetConfig,
    credentials: Credentials,
    *,
    simulator_url: Callable[[], str],
    on_event: OnBrokerEvent,
    weight_limiter: WeightLimiter,
    chance: Callable[[], float],
    redact: Callable[[str], str],
    open_stream: OpenStream,
) -> BinanceBroker:
    """The broker for Binance, its test networks and the built-in simulator.

    Args:
        config: The checked fleet.toml.
        credentials: The key that signs orders.
        simulator_url: Returns the simulator's address; called once the simulator runs.
        on_event: Receives the broker's events.
        weight_limiter: Request weight of this machine's address, shared with the feed.
        chance: Random numbers in [0, 1), for the jitter of reconnects.
        redact: Takes secrets out of texts.
        open_stream: Opens connections to the venue.
    """
    url = config.broker.url
    if url is not None:
        address = lambda: url  # noqa: E731  a callable, as the two others are
    elif config.broker.kind == "simulator":
        address = simulator_url
    else:
        address = lambda: BINANCE_ORDERS  # noqa: E731
    return BinanceBroker(
        address=address,
        venue=venue_name(config),
        credentials=credentials,
        on_event=on_event,
        weight_limiter=weight_limiter,
        backoff=settings.feed_backoff(config),
        chance=chance,
        redact=redact,
        open_stream=open_stream,
    )


def balances_after(fills: Iterable[Fill], *, quote: str, cash: Decimal) -> dict[str, Decimal]:
    """Balances by asset of an account that began with `cash` and had these fills.

    The built-in simulator forgets its accounts when the fleet ends, so they come from the journal.
    """
    held = {quote: cash}

    def add(asset: str, amount: Decimal) -> None:
        held[asset] = held.get(asset, Decimal(0)) + amount

    for fill in fills:
        base = Position(symbol=fill.symbol, quote_asset=quote).base_asset
        add(base, fill.quantity * fill.side.sign)
        add(quote, -fill.price * fill.quantity * fill.side.sign)
        add(fill.fee_asset or quote, -fill.fee)
    return {asset: max(amount, Decimal(0)) for asset, amount in held.items()}


def simulator_keys(config: FleetConfig, credentials: Credentials | None) -> tuple[ApiKey, ...]:
    """The API keys of the built-in simulator: one, when orders go there, otherwise none.

    Raises:
        UsageError: The key is an Ed25519 key, which the simulator cannot check.
    """
    if credentials is None or config.broker.kind != "simulator":
        return ()
    if not isinstance(credentials.signer, HmacKey):
        raise UsageError(
            f"{config.file}: expected no [broker] key_file, or one with an HMAC key, beside "
            "[simulator], came an Ed25519 key"
        )
    return (ApiKey(key=credentials.api_key.reveal(), verifier=credentials.signer),)
