"""Calls of the venue's API, shared by REST and the WS API: weight and signature. Pure.

Each call is checked in this order: a demanded fault, the request weight, the signature, the
parameters; then the method runs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

import attrs

from levitrio.venues.simulator.api.responses import Json
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.accounts import ApiKey, VenueAccount, open_account
from levitrio.venues.simulator.exchange.exchange import Exchange
from levitrio.venues.simulator.exchange.faults import FaultPlan
from levitrio.venues.simulator.exchange.parameters import Parameters
from levitrio.venues.simulator.exchange.rate_limits import OrderQuota, WeightQuota
from levitrio.venues.simulator.market.market import VenueMarket

AHEAD_MS = 1_000
"""A timestamp may be this far ahead of the server's time."""

_RECV_WINDOW_MS = 5_000
_LONGEST_WINDOW_MS = 60_000

_KEY_LENGTHS = range(1, 129)

SIGNED_PARAMETERS = frozenset({"timestamp", "recvWindow"})

Later = Callable[[float, Callable[[], None]], None]
"""Called with seconds and what to do then."""


@attrs.frozen(kw_only=True)
class ApiCall:
    """One request, by REST or by the WS API."""

    values: Mapping[str, str]
    """Its parameters without `apiKey` and `signature`."""
    api_key: str | None = None
    signature: str | None = None
    payload: str = ""
    """The text that must be signed."""
    session: VenueAccount | None = None
    """The account that has logged on; needs no signature."""


@attrs.frozen(kw_only=True)
class ApiRequest:
    """A call that passed the checks."""

    parameters: Parameters
    account: VenueAccount | None
    expires_ms: int = 0
    """Wall time after which the venue drops a signed call, ms since 1970."""

    @property
    def caller(self) -> VenueAccount:
        """The account of a signed call."""
        assert self.account is not None, "only signed methods ask who called"
        return self.account


Handler = Callable[["ExchangeApi", ApiRequest], Json]


@attrs.frozen(kw_only=True)
class ApiMethod:
    """One method of the venue's API."""

    handle: Handler
    weight: Callable[[Parameters], int]
    known: frozenset[str] = frozenset()
    """The parameters it reads."""
    is_signed: bool = False
    prepare: Callable[["ExchangeApi", Parameters], Iterator[None]] | None = None
    """Work to do beforehand, in small pieces; never raises ApiError."""


@attrs.define(eq=False, kw_only=True)
class ExchangeApi:
    """The state that REST and the WS API share."""

    market: VenueMarket
    wall_clock: Callable[[], float]
    """Seconds since 1970."""
    later: Later
    keys: Sequence[ApiKey] = ()
    balances: Mapping[str, Decimal] = attrs.field(factory=dict)
    """Balances of each account at the start, by asset."""
    fee: Decimal = Decimal("0.001")
    faults: FaultPlan = attrs.field(factory=FaultPlan)
    watch: Callable[[str, bool], None] = attrs.field(default=lambda _symbol, _is_wanted: None)
    exchange: Exchange = attrs.field(init=False)
    weights: WeightQuota = attrs.field(factory=WeightQuota, init=False)
    _accounts: dict[str, VenueAccount] = attrs.field(init=False)
    _quotas: dict[int, OrderQuota] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.exchange = Exchange(
            market=self.market, on_fill=self._give_back, watch=self.watch, faults=self.faults
        )
        self._accounts = {
            key.key: open_account(key, uid, self.balances, self.fee)
            for uid, key in enumerate(self.keys, start=1)
        }

    def wall_ms(self) -> int:
        """The server's time, which signatures are held to; a fault may skew it."""
        return int(self.wall_clock() * 1000) + self.faults.now.clock_skew_ms

    def orders(self, account: VenueAccount) -> OrderQuota:
        """The order counts of an account."""
        return self._quotas.setdefault(account.uid, OrderQuota())

    def spend(self, weight: int) -> None:
        """Count a request's weight. Raises ApiError above the limit, or by a demanded fault."""
        refusal = self.faults.refusal(self.wall_ms())
        if refusal is not None:
            raise refusal
        self.weights.spend(weight, self.wall_ms())

    def call(self, method: ApiMethod, call: ApiCall) -> Json:
        """Call a method. Raises ApiError, or `LostReply` for an answer that must not be sent."""
        parameters = Parameters(call.values)
        self.spend(method.weight(parameters))
        account, expires_ms = None, 0
        if method.is_signed:
            account, expires_ms = self.authenticate(call)
        parameters.check_known(
            method.known | SIGNED_PARAMETERS if method.is_signed else method.known
        )
        request = ApiRequest(parameters=parameters, account=account, expires_ms=expires_ms)
        return method.handle(self, request)

    def authenticate(self, call: ApiCall) -> tuple[VenueAccount, int]:
        """The account that signed a call, and its expiry, ms since 1970. Raises ApiError."""
        parameters = Parameters(call.values)
        account = call.session
        if call.api_key is not None or account is None:
            account = self.signer(call)
        return account, self._expiry(parameters)

    def signer(self, call: ApiCall) -> VenueAccount:
        """The account whose key signed a call; times are not checked. Raises ApiError."""
        if not call.api_key or len(call.api_key) not in _KEY_LENGTHS:
            raise errors.malformed_key()
        account = self._accounts.get(call.api_key)
        if account is None:
            raise errors.unknown_key()
        if not call.signature:
            raise errors.missing("signature")
        if not account.api_key.verifier.verify(call.payload, call.signature):
            raise errors.wrong_signature()
        return account

    def _expiry(self, parameters: Parameters) -> int:
        parameters.required("timestamp")
        timestamp = parameters.time_ms("timestamp")
        window = parameters.decimal("recvWindow")
        window_ms = _RECV_WINDOW_MS if window is None else int(window)
        if window_ms > _LONGEST_WINDOW_MS:
            raise errors.window_too_long()
        assert timestamp is not None
        now_ms = self.wall_ms()
        if timestamp >= now_ms + AHEAD_MS:
            raise errors.too_early()
        if now_ms - timestamp > window_ms:
            raise errors.too_late()
        return timestamp + window_ms

    def _give_back(self, account: VenueAccount, is_maker: bool, is_first: bool) -> None:
        if is_first:
            self.orders(account).add(-5 if is_maker else -1, self.wall_ms())
