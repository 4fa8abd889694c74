"""What can go wrong on the App's side, in words an App can show.

    AppError                    every failure of this package; .code .message .help
    |-- RefusedError            the platform answered with a number other than 200
    |-- UnreachableError        nobody answered: network, name, TLS, time-out
    |-- AnswerError             somebody answered, but not in the App API's words
    |-- ControlError            the device cannot be read, written or reached just now
    |   |-- KeyRefusedError     it does not take the key: fetch the present one
    |   |-- PathLostError       the way to it is gone; another one may do
    |   `-- NoPathError         no way to it is open; `failures` has the reason of each
    `-- PairingError            the short-range exchange with the device did not succeed
        |-- NothingFoundError   no device answered, on the local network or over BLE
        |-- NoBindCodeError     the device answered but offered no bind code in time
        `-- WrongPinError       the PIN is not the device's
            `-- UnconfirmedPinError   whoever answered took the proof and gave none

`code` is the platform's number for a RefusedError and the vendor App's pairing number (short-range.md D.4)
for a PairingError; it is 0 where nobody gave one. No password, token or payload is ever part of an error.
"""

PAIRING_NO_BIND_CODE = 304
PAIRING_FAILED = 306

# One sentence a user can act on, by the platform's number; the platform's own text stays in `message`.
_HELP_BY_CODE = {
    4008: "You have been signed out; sign in again.",
    4011: "This device is not among your devices.",
    4019: "That was too much at once; wait a moment.",
    4030: "The device is offline; check that it is switched on and connected.",
    5013: "This App's user domain is not valid; ask whoever runs the App.",
    5015: "This App's user domain is not known here; check the server address and the App's settings.",
    5026: "Enter an e-mail address.",
    5027: "This e-mail address has an account already; sign in instead.",
    5028: "The password is not right.",
    5031: "No account has this e-mail address; register first.",
    5032: "You have been signed out; sign in again.",
    5039: "This e-mail address has an account already; sign in instead.",
    5040: "This does not look like an e-mail address.",
    5041: "You have no permission for this device.",
    5046: "The code from the e-mail is not right; check it or ask for a new one.",
    5049: "The device is bound already.",
    5052: "This device is not among your devices.",
    5056: "A password has 6 to 20 letters, digits or special characters.",
    5058: "Too many codes were asked for; wait a few minutes.",
    5064: "Enter the code from the e-mail.",
    5069: "This name is too long.",
    5104: "This App has been switched off by its operator.",
    5106: "Sign in first.",
    5147: "Too many wrong passwords: the account is frozen for 20 minutes.",
    5148: "Too many wrong passwords from this network: wait 20 minutes.",
    5179: "The device gave no bind code; put it into pairing mode and try again.",
    5213: "The device's bind code is malformed; put it into pairing mode again.",
    5229: "This App may not bind devices of this product; ask whoever runs the App.",
    5325: "This network is blocked for 24 hours.",
    5333: "This name is too long.",
    5361: "This device key is malformed.",
    5412: "The device belongs to somebody else, who has to unbind it first.",
    5420: "This App's secret does not fit its user domain; ask whoever runs the App.",
    5460: "The device has not told the platform its bind code yet; check that it is online.",
    5461: "The device's pairing time is over; put it into pairing mode again.",
    5462: "The bind code is not the one this device reported; pair with it again.",
    5486: "This account is disabled.",
    5489: "You have been signed out; sign in again.",
    5499: "This product cannot be bound by its device key; pair with the device instead.",
    5583: "The password is not right; 1 try is left.",
    5584: "The password is not right; 2 tries are left.",
    5585: "The password is not right; 3 tries are left.",
    5586: "The password is not right; 4 tries are left.",
    5913: "You are not allowed to bind this device.",
    6040: "This device is shared with you already.",
    8429: "Too many wrong bind codes; wait a while.",
}


class AppError(Exception):
    """A failure an App can show: `help` is a sentence for its user, `message` the technical one."""

    def __init__(self, message: str, code: int = 0, help_sentence: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help_sentence or message


class RefusedError(AppError):
    """The platform said no. `retry_after_s` is set when it also said how long to wait."""

    def __init__(self, code: int, message: str, retry_after_s: float | None = None) -> None:
        sentence = _HELP_BY_CODE.get(code, "The platform refused this.")
        super().__init__(message or sentence, code, sentence)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.message} (platform error {self.code})"


class UnreachableError(AppError):
    """Nobody answered at this address."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where} cannot be reached: {why}", 0, "The platform cannot be reached; check the network.")


class AnswerError(AppError):
    """Somebody answered, but it is not the App API: most often a wrong address or a proxy's error page."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(
            f"{where} does not answer as the App API does: {why}",
            0,
            "The answer makes no sense; check the server address.",
        )


class ControlError(AppError):
    """The device did not do what it was asked, or could not be asked."""


class KeyRefusedError(ControlError):
    """The device knows another auth key than this one: it was renewed, or the device has another owner."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 0, "The device does not know you; fetch its present auth key, or bind it again.")


class PathLostError(ControlError):
    """The connection with the device is not there (any more)."""


class NoPathError(ControlError):
    """The device cannot be reached on any way.

    Attributes:
        failures: the error of each way that was tried, by its name.
    """

    def __init__(self, failures: "dict[str, AppError]") -> None:
        reasons = "; ".join(f"{name}: {error.message}" for name, error in failures.items())
        sentence = "The device cannot be reached; check that it is switched on and in reach."
        refused = [error.help for error in failures.values() if isinstance(error, KeyRefusedError | RefusedError)]
        super().__init__(f"no way to the device ({reasons})", 0, refused[-1] if refused else sentence)
        self.failures = failures

    @property
    def is_refused(self) -> bool:
        """Whether somebody was there and said no, so that trying again helps nothing."""
        return any(isinstance(error, KeyRefusedError | RefusedError) for error in self.failures.values())


class PairingError(AppError):
    """The device and the App did not come together."""

    def __init__(self, message: str, code: int = PAIRING_FAILED, help_sentence: str = "") -> None:
        super().__init__(message, code, help_sentence)


class NothingFoundError(PairingError):
    """No device answered the search, on the local network or over BLE."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            PAIRING_FAILED,
            "No device was found; check that it is switched on, and in your network or near you.",
        )


class NoBindCodeError(PairingError):
    """The device answered, but its bind window was closed the whole time, or it gives its code for a PIN only."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            PAIRING_NO_BIND_CODE,
            "The device is not in pairing mode, or wants its PIN; start pairing on the device and try again.",
        )


class WrongPinError(PairingError):
    """The PIN is not the device's; `tries_left` more, then its bind window closes. None: nobody said."""

    def __init__(self, tries_left: int | None) -> None:
        if tries_left:
            sentence = f"The PIN is not right; the device takes {tries_left} more."
        else:
            sentence = "The PIN is not right, and was the last try; start pairing on the device again."
        super().__init__(f"wrong PIN, {tries_left} tries left", PAIRING_FAILED, sentence)
        self.tries_left = tries_left


class UnconfirmedPinError(WrongPinError):
    """Whoever answered was shown that one knows the PIN, and did not show the same.

    It may stand in for the device, and has guessed once: each further exchange would be one more guess.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(None)
        self.message = f"the PIN was not confirmed: {reason}"
        self.help = "The device did not confirm the PIN. Make sure that you stand beside it, and try again."
        self.args = (self.message,)
