"""What Stripe may call: one address, proved by a signature over the raw body.

Knows `billing`, which verifies before anything is believed.
"""

import logging

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts import billing

logger = logging.getLogger("likeness.money")


@csrf_exempt  # Stripe has no cookie; the signature is the proof
@require_POST
def stripe_events(request: HttpRequest) -> HttpResponse:
    """400 for what Stripe did not sign, 500 when Stripe should tell it again, else 200: also for
    what we do not know or have heard before.
    """
    try:
        billing.receive_event(request.body, request.headers.get("Stripe-Signature", ""))
    except billing.BadSignature as bad:
        logger.warning("an unsigned event", extra={"why": str(bad)})
        return HttpResponse(status=400)
    except (billing.Unavailable, billing.Refused) as trouble:
        logger.warning("an event waits for its next telling", extra={"why": str(trouble)})
        return HttpResponse(status=500)
    return HttpResponse(status=200)
