"""The operator side as one object, for the operator API and the command line.

Every change names the operator and their address in the audit log, in the same transaction. A secret is answered once,
by the call that makes it. Refusals are Rejected (8400), NotFound, Conflict and Unauthenticated.
"""

from quecbind.center.services.fleet import FleetDesk
from quecbind.center.services.keys import KeyDesk
from quecbind.center.services.models import ModelDesk
from quecbind.center.services.people import PeopleDesk
from quecbind.center.services.products import ProductDesk


class Operators(ProductDesk, ModelDesk, FleetDesk, PeopleDesk, KeyDesk):
    """Products and their thing models, devices, user domains and users, access keys and audit.

    All but `local_key` are coroutines.
    """
