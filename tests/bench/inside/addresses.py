"""The site's own addresses, with two empty views beside them to measure others against.

Knows config.urls and the guard of signed-in pages.
"""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from avatars.views.guards import PersonRequest, signed_in


@csrf_exempt
@require_POST
def empty_post(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=200)


@signed_in
def empty_page(request: PersonRequest) -> HttpResponse:
    return HttpResponse(status=204)


urlpatterns = [
    path("bench/post/", empty_post),
    path("bench/page/", empty_page),
    path("", include("config.urls")),
]
