"""Why something is refused: the platform's number, and a sentence for whoever has to act on it.

The numbers are those of app-api.md E1 and E2 and of device-center.md 8.3. Numbers from 8400 to 8599 are a quecbind
extension: the platform has none for these cases. A sentence never holds a secret or what the caller sent.
"""

from dataclasses import dataclass

# Device authentication (0x00A3), device-center.md 8.3.
STATIC_PRODUCT = 10421
ALREADY_ENROLLED = 10422
UNKNOWN_PRODUCT = 10423
LOGIN_UNREADABLE = 10424
WRONG_SIGNATURE = 10425
TOO_FREQUENT = 10428
DEVICE_LIMIT_REACHED = 10429
WRONG_DEVICE_SECRET = 10430
DEVICE_NOT_ALLOWED = 10431
CLIENT_ID_DIFFERS = 10434

# Users and tokens, app-api.md E2.
SERVICE_ERROR = 5000
DOMAIN_FORMAT = 5013
DOMAIN_EXISTS = 5014
DOMAIN_UNKNOWN = 5015
PASSWORD_MISSING = 5022
DOMAIN_MISSING = 5023
EMAIL_MISSING = 5026
EMAIL_UNKNOWN = 5031
TOKEN_INVALID = 5032
USER_UNKNOWN = 5033
EMAIL_REGISTERED = 5039
EMAIL_FORMAT = 5040
EMAIL_OR_PHONE_MISSING = 5044
EMAIL_CODE_WRONG = 5046
PASSWORD_FORMAT = 5056
CODES_TOO_OFTEN = 5058
EMAIL_CODE_MISSING = 5064
DOMAIN_DISABLED = 5104
TOKEN_MISSING = 5106
REFRESH_TOKEN_MISSING = 5115
ACCOUNT_FROZEN = 5147
ADDRESS_FROZEN = 5148
TIMEZONE_FORMAT = 5171
COUNTRY_FORMAT = 5172
LANGUAGE_FORMAT = 5173
PASSWORD_UNREADABLE = 5353
SIGNATURE_WRONG = 5420
ACCOUNT_DISABLED = 5486
REFRESH_TOKEN_INVALID = 5489
SIGNATURE_MISSING = 5550
ONE_TRY_LEFT = 5583  # 5584, 5585 and 5586: two, three and four tries left

# Binding, devices and products, app-api.md E1.
VERIFICATION_FAILED = 5009
NO_PERMISSION = 5041
ALREADY_BOUND = 5049
UNBIND_FAILED = 5050
NOT_BOUND = 5052
PRODUCT_KEY_MISSING = 5066
DEVICE_KEY_MISSING = 5067
DEVICE_NAME_MISSING = 5068
SERIAL_MISSING = 5088
SERIAL_INVALID = 5090
SERIAL_FORMAT = 5178
BIND_CODE_MISSING = 5179
BIND_CODE_FORMAT = 5213
DOMAIN_NOT_LINKED = 5229
PRODUCT_UNKNOWN = 5313
SERIAL_BINDING_OFF = 5327
DEVICE_NAME_TOO_LONG = 5333
DEVICE_KEY_FORMAT = 5361
BIND_MODE_LOCKED = 5410
SHARING_OFF = 5411
SINGLE_MODE = 5412
NO_PLACE_LEFT = 5422
BIND_SECRET_MISSING = 5458
BIND_SECRET_FORMAT = 5459
NOT_BLE = 5464
CONTROL_TYPE_MISSING = 5070
CONTROL_TYPE_RANGE = 5071
DATA_FORMAT_MISSING = 5072
DATA_FORMAT_RANGE = 5073
CONTROL_DATA_FORMAT = 5074
CONTROL_TOO_LARGE = 5075
DEVICE_LIST_MISSING = 5311
DEVICE_LIST_TOO_LONG = 5312
CACHE_TIME_MISSING = 5328
CACHE_TIME_RANGE = 5329
CACHE_RANGE = 5330
COVER_RANGE = 5331
CONTROL_FAILED = 5340
BIND_CODE_NOT_REPORTED = 5460
QUERY_TYPE_MISSING = 5471
BIND_CODE_EXPIRED = 5461
BIND_CODE_DIFFERS = 5462
DEVICE_UNKNOWN = 5493
SHARE_EXPIRY_MISSING = 5132
COVER_MARK_RANGE = 5133
SHARE_NOT_ADDED = 5134
SHARE_CODE_MISSING = 5136
SHARE_CODE_INVALID = 5137
OWN_SHARE_CODE = 5139
SHARE_OR_DEVICE_MISSING = 5140
MAY_NOT_QUERY = 5141
TIMESTAMP_FORMAT = 5145
NEW_EXPIRY_TOO_EARLY = 5151
USE_EXPIRY_TOO_EARLY = 5153
UNVERIFIED_SHARE = 5360
SHARE_TARGET_MISSING = 5891
SHARE_ACCEPTED_ALREADY = 6040
DEVICE_KEY_BINDING_OFF = 5499
MAY_NOT_BIND = 5913

# Enterprise API, app-api.md E5.
ENTERPRISE_TOKEN_MISSING = 91001
ENTERPRISE_TOKEN_WRONG = 91004

# quecbind extensions.
INVALID = 8400
ACCESS_KEY_INVALID = 8401
NOT_FOUND = 8404
CONFLICT = 8409
TOO_MANY_GUESSES = 8429
UNAVAILABLE = 8503

SENTENCE_BY_CODE: dict[int, str] = {
    STATIC_PRODUCT: "devices of this product have their secret from the factory and may not enrol",
    ALREADY_ENROLLED: "the device has enrolled already; reset it, or have its re-enrolment approved",
    UNKNOWN_PRODUCT: "there is no product with this product key",
    LOGIN_UNREADABLE: "the log-in cannot be read with this product's secret",
    WRONG_SIGNATURE: "the signature of the log-in is wrong",
    TOO_FREQUENT: "this comes too often, wait a while",
    DEVICE_LIMIT_REACHED: "the product has reached its device limit",
    WRONG_DEVICE_SECRET: "the device secret is wrong",
    DEVICE_NOT_ALLOWED: "this device is not allowed here",
    CLIENT_ID_DIFFERS: "the log-in names another device than the client id",
    SERVICE_ERROR: "the service cannot do this now, try again later",
    DOMAIN_FORMAT: "the user domain is malformed",
    DOMAIN_EXISTS: "the user domain exists already",
    DOMAIN_UNKNOWN: "the user domain does not exist",
    PASSWORD_MISSING: "the password is missing",
    DOMAIN_MISSING: "the user domain is missing",
    EMAIL_MISSING: "the e-mail address is missing",
    EMAIL_UNKNOWN: "there is no user with this e-mail address",
    TOKEN_INVALID: "the token is invalid, sign in again",
    USER_UNKNOWN: "the user does not exist",
    EMAIL_REGISTERED: "this e-mail address is registered already",
    EMAIL_FORMAT: "the e-mail address is malformed",
    EMAIL_OR_PHONE_MISSING: "the e-mail address is missing; accounts here have no phone number",
    EMAIL_CODE_WRONG: "the code from the e-mail is wrong or no longer valid",
    PASSWORD_FORMAT: "a password has 6 to 20 letters, digits or special characters",
    CODES_TOO_OFTEN: "codes were asked for too often, wait a while",
    EMAIL_CODE_MISSING: "the code from the e-mail is missing",
    DOMAIN_DISABLED: "the user domain is disabled",
    TOKEN_MISSING: "the token is missing",
    REFRESH_TOKEN_MISSING: "the refresh token is missing",
    ACCOUNT_FROZEN: "too many wrong passwords, the account is frozen for 20 minutes",
    ADDRESS_FROZEN: "too many wrong passwords, the address is frozen for 20 minutes",
    TIMEZONE_FORMAT: "the time zone is malformed",
    COUNTRY_FORMAT: "the country is malformed",
    LANGUAGE_FORMAT: "the language is malformed",
    PASSWORD_UNREADABLE: "the password cannot be decrypted with this random",
    SIGNATURE_WRONG: "the signature is wrong",
    ACCOUNT_DISABLED: "the account is disabled",
    REFRESH_TOKEN_INVALID: "the refresh token is invalid, sign in again",
    SIGNATURE_MISSING: "the signature is missing",
    ONE_TRY_LEFT: "wrong e-mail address or password, 1 try left",
    ONE_TRY_LEFT + 1: "wrong e-mail address or password, 2 tries left",
    ONE_TRY_LEFT + 2: "wrong e-mail address or password, 3 tries left",
    ONE_TRY_LEFT + 3: "wrong e-mail address or password, 4 tries left",
    VERIFICATION_FAILED: "the device could not be verified",
    NO_PERMISSION: "no permission",
    UNBIND_FAILED: "the device was not unbound: these are not its reset credentials",
    NO_PLACE_LEFT: "the product has reached its device limit",
    BIND_SECRET_MISSING: "the bind secret is missing",
    BIND_SECRET_FORMAT: "the bind secret cannot be read",
    NOT_BLE: "this is no product whose devices are bound over BLE alone",
    CONTROL_TYPE_MISSING: "type is missing",
    CONTROL_TYPE_RANGE: "type is 1 raw data, 2 properties or 3 service",
    DATA_FORMAT_MISSING: "dataFormat is missing",
    DATA_FORMAT_RANGE: "dataFormat is 1 hex or 2 text",
    CONTROL_DATA_FORMAT: "data is missing, or cannot be read as type and dataFormat say",
    CONTROL_TOO_LARGE: "data is too large",
    CACHE_TIME_RANGE: "cacheTime is 1 to 7776000 seconds",
    CACHE_RANGE: "isCache is 1 yes or 2 no",
    COVER_RANGE: "isCover is 1 yes or 2 no",
    CACHE_TIME_MISSING: "cacheTime is missing: it says how long the command waits",
    CONTROL_FAILED: "the command was not sent",
    DEVICE_LIST_MISSING: "the list of devices is missing",
    DEVICE_LIST_TOO_LONG: "the list of devices is too long",
    ALREADY_BOUND: "you own this device already",
    NOT_BOUND: "you do not own this device",
    PRODUCT_KEY_MISSING: "the product key is missing",
    DEVICE_KEY_MISSING: "the device key is missing",
    DEVICE_NAME_MISSING: "the device name is missing",
    SERIAL_MISSING: "the serial number is missing",
    SERIAL_INVALID: "this serial number is not valid",
    SERIAL_FORMAT: "a serial number has 1 to 64 letters, digits or ._-",
    SERIAL_BINDING_OFF: "this product does not allow binding by serial number",
    BIND_CODE_MISSING: "the bind code is missing",
    BIND_CODE_FORMAT: "a bind code has 16 characters 0-9 A-F",
    DOMAIN_NOT_LINKED: "the product is not open to this App",
    PRODUCT_UNKNOWN: "there is no product with this product key",
    DEVICE_NAME_TOO_LONG: "a device name has at most 254 characters",
    DEVICE_KEY_FORMAT: "a device key has 1 to 32 letters or digits",
    BIND_MODE_LOCKED: "the bind mode cannot change while devices of the product are bound",
    SHARING_OFF: "devices of this product cannot be shared",
    SINGLE_MODE: "the device has an owner, and its product allows only one",
    BIND_CODE_NOT_REPORTED: "the device has not reported a bind code",
    BIND_CODE_EXPIRED: "the bind code of the device has expired",
    BIND_CODE_DIFFERS: "the device has reported another bind code",
    QUERY_TYPE_MISSING: "the type of the query is missing",
    SHARE_EXPIRY_MISSING: "the moment until which the share can be accepted is missing",
    COVER_MARK_RANGE: "coverMark is 1 replace, 2 in parallel or 3 replace if it lasts longer",
    SHARE_NOT_ADDED: "too many invitations are open, cancel some or wait until they expire",
    SHARE_CODE_MISSING: "the share code is missing",
    SHARE_CODE_INVALID: "the share code is invalid",
    OWN_SHARE_CODE: "this is your own share code",
    SHARE_OR_DEVICE_MISSING: "give pk and dk, or a share code",
    MAY_NOT_QUERY: "you may not ask about this device",
    TIMESTAMP_FORMAT: "a time is UTC milliseconds and lies ahead",
    NEW_EXPIRY_TOO_EARLY: "you hold a share that lasts as long or longer",
    USE_EXPIRY_TOO_EARLY: "the use must end after the time for accepting",
    UNVERIFIED_SHARE: "only the owner of a device can share it",
    SHARE_TARGET_MISSING: "name the user by uid or e-mail address",
    SHARE_ACCEPTED_ALREADY: "this device is shared with you already",
    DEVICE_UNKNOWN: "there is no such device",
    DEVICE_KEY_BINDING_OFF: "this product does not allow binding by device key alone",
    MAY_NOT_BIND: "you have no right to bind this device",
    ENTERPRISE_TOKEN_MISSING: "the access key is missing",
    ENTERPRISE_TOKEN_WRONG: "the access key is unknown or revoked",
    INVALID: "the request is invalid",
    ACCESS_KEY_INVALID: "the access key is missing, unknown or revoked",
    NOT_FOUND: "not found",
    CONFLICT: "this contradicts what exists",
    TOO_MANY_GUESSES: "too many wrong bind codes or serial numbers",
    UNAVAILABLE: "nothing was changed: the data cannot be written now, try again later",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A decision against the caller.

    Attributes:
        code: the number the peer gets.
        retry_after_s: when it is worth trying again; None when time alone changes nothing.
        detail: a sentence that knows more than the table's; never a secret.
    """

    code: int
    retry_after_s: int | None = None
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What to tell a person."""
        return self.detail or SENTENCE_BY_CODE.get(self.code, "refused")
