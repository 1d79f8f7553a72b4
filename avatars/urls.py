"""Addresses of avatars: public pages, making, keeping, files, the moderation desk, and what the
provider may call.

Knows the views, the desk and webhooks. Ids are UUIDs or tokens, never row numbers.
"""

from django.urls import path

from avatars import dashboard, desk, person_acts, provider_page, takedown_desk, webhooks
from avatars.views import (
    appeals,
    belongings,
    create,
    gallery,
    media,
    openings,
    pages,
    photos,
    privacy,
    progress,
    reports,
    sharing,
    whereabouts,
)

urlpatterns = [
    path("", pages.landing, name="landing"),
    path("styles/", pages.styles, name="styles"),
    path("status/", pages.status, name="status"),
    path("s/<str:token>/", sharing.shared, name="shared"),
    path("s/<str:token>/picture.webp", sharing.shared_picture, name="shared_picture"),
    path("safety/report/", reports.report, name="report"),
    path("safety/report/<str:number>/", reports.report_status, name="report_status"),
    path("safety/appeal/", appeals.appeal, name="appeal"),
    # Make
    path("create/", create.create, name="create"),
    path("jobs/tray/", progress.tray, name="jobs_tray"),
    path("jobs/<uuid:public_id>/", progress.job, name="job"),
    path("jobs/<uuid:public_id>/receipt/", progress.receipt, name="job_receipt"),
    path("jobs/<uuid:public_id>/appeal/", appeals.appeal, name="job_appeal"),
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
    path("faces/<uuid:public_id>/", whereabouts.face, name="face"),
    path("faces/<uuid:public_id>/photo/", whereabouts.download, name="face_download"),
    path("faces/<uuid:public_id>/record/", whereabouts.record, name="face_record"),
    path("faces/<uuid:public_id>/delete/", photos.delete, name="face_delete"),
    path("faces/<uuid:public_id>/keep/", photos.keep, name="face_keep"),
    path("settings/privacy/", privacy.privacy, name="privacy_settings"),
    path("settings/privacy/keep/", privacy.keep_default, name="keep_default"),
    path("settings/privacy/withdraw/", privacy.withdraw, name="consent_withdraw"),
    # Staff
    path("admin/photos/<uuid:public_id>/", openings.photo, name="photo_open"),
    path("admin/photos/<uuid:public_id>/picture/", openings.picture, name="photo_picture"),
    # Settings
    path("settings/data/", belongings.data, name="data"),
    path("settings/data/exports/<uuid:public_id>/", belongings.export, name="export"),
    # Files
    path("m/signed/<path:key>", media.signed, name="media_signed"),
    # Staff
    path("admin/moderation/", desk.queue, name="desk"),
    path("admin/moderation/next/", desk.take_next, name="desk_next"),
    path("admin/moderation/clear/", desk.clear, name="desk_clear"),
    path("admin/moderation/keys/", desk.keys, name="desk_keys"),
    path("admin/moderation/<uuid:public_id>/", desk.item_page, name="desk_item"),
    path("admin/moderation/<uuid:public_id>/undo/", desk.undo, name="desk_undo"),
    path("admin/takedowns/", takedown_desk.takedowns_page, name="takedowns"),
    path("admin/takedowns/<int:pk>/", takedown_desk.takedown_page, name="takedown"),
    # Machine
    path("p/face/<str:token>/", webhooks.face_link, name="face_link"),
    path("webhooks/provider/<str:token>/", webhooks.doorbell, name="doorbell"),
    path("admin/", dashboard.page, name="dashboard"),
    path("admin/people/<int:pk>/photos/", person_acts.delete_photos, name="person_photos"),
    path("admin/people/<int:pk>/letter/", person_acts.resend, name="person_letter"),
    path("admin/provider/", provider_page.provider, name="provider"),
    path("admin/provider/pause/", provider_page.pause, name="provider_pause"),
    path("admin/provider/resume/", provider_page.resume, name="provider_resume"),
    path("admin/provider/<uuid:public_id>/look/", provider_page.look_again, name="provider_look"),
    path("admin/provider/<uuid:public_id>/fail/", provider_page.fail, name="provider_fail"),
]
