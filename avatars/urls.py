"""Addresses of avatars: public pages, making, keeping, files, and what the provider may call.

Knows the views and webhooks. Ids are UUIDs or tokens, never row numbers.
"""

from django.urls import path

from avatars import takedown_desk, webhooks
from avatars.views import create, gallery, media, pages, photos, progress, reports, sharing

urlpatterns = [
    path("", pages.landing, name="landing"),
    path("styles/", pages.styles, name="styles"),
    path("status/", pages.status, name="status"),
    path("s/<str:token>/", sharing.shared, name="shared"),
    path("s/<str:token>/picture.webp", sharing.shared_picture, name="shared_picture"),
    path("safety/report/", reports.report, name="report"),
    path("safety/report/<str:number>/", reports.report_status, name="report_status"),
    # Make
    path("create/", create.create, name="create"),
    path("jobs/tray/", progress.tray, name="jobs_tray"),
    path("jobs/<uuid:public_id>/", progress.job, name="job"),
    path("jobs/<uuid:public_id>/receipt/", progress.receipt, name="job_receipt"),
    path("jobs/<uuid:public_id>/cancel/", progress.cancel, name="job_cancel"),
    path("jobs/<uuid:public_id>/dismiss/", progress.dismiss, name="job_dismiss"),
    # Keep
    path("gallery/", gallery.gallery, name="gallery"),
    path("gallery/trash/", gallery.trash, name="trash"),
    path("gallery/<uuid:public_id>/", gallery.viewer, name="avatar"),
    path("gallery/<uuid:public_id>/favourite/", gallery.favourite, name="avatar_favourite"),
    path("gallery/<uuid:public_id>/delete/", gallery.delete, name="avatar_delete"),
    path("gallery/<uuid:public_id>/restore/", gallery.restore, name="avatar_restore"),
    path("gallery/<uuid:public_id>/purge/", gallery.purge, name="avatar_purge"),
    path("gallery/<uuid:public_id>/download/<str:form>/", gallery.download, name="avatar_download"),
    path("gallery/<uuid:public_id>/share/", sharing.share, name="avatar_share"),
    path("gallery/<uuid:public_id>/share/stop/", sharing.stop, name="avatar_share_stop"),
    path("faces/", photos.faces, name="faces"),
    path("faces/new/", photos.new, name="face_new"),
    path("faces/consent/", photos.consent, name="face_consent"),
    path("faces/<uuid:public_id>/", photos.face, name="face"),
    path("faces/<uuid:public_id>/delete/", photos.delete, name="face_delete"),
    path("faces/<uuid:public_id>/keep/", photos.keep, name="face_keep"),
    # Files
    path("m/signed/<path:key>", media.signed, name="media_signed"),
    # Staff
    path("admin/takedowns/", takedown_desk.takedowns_page, name="takedowns"),
    path("admin/takedowns/<int:pk>/", takedown_desk.takedown_page, name="takedown"),
    # Machine
    path("p/face/<str:token>/", webhooks.face_link, name="face_link"),
    path("webhooks/provider/<str:token>/", webhooks.doorbell, name="doorbell"),
]
