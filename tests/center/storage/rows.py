"""Values to fill a database with."""

from quecbind.center.domain.device import Device
from quecbind.center.domain.ids import DeviceKey, ProductKey, Secret, Uid, UserDomain, client_id
from quecbind.center.domain.product import Product
from quecbind.center.services.records import Domain, Owner, User

PK = ProductKey("p1115X")
DOMAIN = UserDomain("Q.DM.10001.1")
PRODUCT_SECRET = "ProductSecret016"
DEVICE_SECRET = "DeviceSecretOfThirtyTwoLetters00"
DOMAIN_SECRET = "DomainSecretOfFortyFourLetters00000000000000"


def product(**changes) -> Product:
    return Product(**{"product_key": PK, "product_secret": Secret(PRODUCT_SECRET), "name": "lamp", **changes})


def device(device_key: str = "D1", **changes) -> Device:
    key = DeviceKey(device_key)
    fields = {
        "id": 0,
        "product_key": PK,
        "device_key": key,
        "client_id": client_id(PK, key),
        "device_secret": Secret(DEVICE_SECRET),
        "created_at": 1,
    }
    return Device(**{**fields, **changes})


def domain(user_domain: str = DOMAIN) -> Domain:
    return Domain(
        user_domain=UserDomain(user_domain), user_domain_secret=Secret(DOMAIN_SECRET), name="App", created_at=1
    )


def user(email: str = "ann@example.com", user_domain: str = DOMAIN) -> User:
    return User(
        uid=Uid(""), user_domain=UserDomain(user_domain), email=email, password_hash="argon2-hash", registered_at=1
    )


def owner(device_id: int, uid: Uid, bind_mode="multi", epoch: int = 1) -> Owner:
    return Owner(
        device_id=device_id,
        product_key=PK,
        bind_mode=bind_mode,
        uid=uid,
        user_domain=DOMAIN,
        epoch=epoch,
        device_name="lamp",
        capabilities=0,
        binding_type=2,
        bound_at=1,
    )


def fill(tx, bind_mode="multi") -> tuple[Device, Uid, Uid]:
    """One product with one device, one user domain with two users."""
    tx.products.insert(product(bind_mode=bind_mode))
    tx.domains.insert(domain())
    return tx.devices.insert(device()), tx.users.insert(user()), tx.users.insert(user("bob@example.com"))
