"""Guards of the security checklist (engine.md §13): for each line, what keeps it and who misses it.

Knows the sources as text alone. Lines whose guard is among the twenty of the plan (metadata, owner
check, redirects, host match, tokens, amounts, signatures) are not here again.
"""

from tests.faults.cuts import Cut, Mutant

SETTINGS, IMAGING = "config/settings.py", "avatars/imaging.py"
ACCESS, HEADERS = "tests/test_access.py::test_", "tests/test_headers.py::test_"
LIMITS, UPLOADS = "tests/accounts/test_limits.py::test_", "tests/avatars/test_uploads.py::test_"
ODD, LOGS = "tests/test_odd_requests.py::test_", "tests/test_logs.py::test_"
STARTS = "tests/test_settings.py::test_"

MUTANTS = (
    # 1 Upload
    Mutant(
        "1 upload by anybody",
        Cut("avatars/views/photos.py", "@signed_in\n@limited(UPLOADS)", "@limited(UPLOADS)"),
        tests=[ACCESS + "nobody_sees_only_what_is_open[face_new-get]"],
    ),
    Mutant(
        "1 upload of any size",
        Cut(IMAGING, "if size > UPLOAD_BYTES:", "if size < 0:"),
        tests=[
            "tests/avatars/test_imaging.py::test_a_file_above_ten_megabytes_is_refused_with_its_size"
        ],
    ),
    Mutant(
        "1 pixels counted before they are read",
        Cut(IMAGING, "if size[0] * size[1] > limit * MEGAPIXEL:", "if size[0] < 0:"),
        tests=[UPLOADS + "a_bomb_is_refused_before_it_costs_anything[png 17 MP]"],
    ),
    Mutant(
        "1 one frame",
        Cut(IMAGING, 'if form in ("PNG", "WEBP") and frames > 1:', "if frames > 9:"),
        tests=[UPLOADS + "a_hostile_file_gets_its_sentence_and_leaves_nothing[png of two frames]"],
    ),
    Mutant(
        "1 two decodes at once",
        Cut(IMAGING, "BoundedSemaphore(2)", "BoundedSemaphore(9)"),
        tests=["tests/avatars/test_imaging.py::test_no_more_than_two_photos_are_read_at_once"],
    ),
    # 2 Re-encode
    Mutant(
        "2 the upload kept as it came",
        Cut(
            IMAGING,
            "    jpeg = next(jpeg for jpeg in tries if len(jpeg) <= PHOTO_BYTES)\n",
            "    jpeg = upload\n",
        ),
        tests=[UPLOADS + "a_taken_file_is_clean_to_the_last_byte[jpeg and an archive]"],
    ),
    # 3 Consent
    Mutant(
        "3 consent before every submit",
        Cut(
            "avatars/generation.py",
            "    if not face_consents.filter(user=user).exists():\n        raise ConsentMissing\n",
            "",
        ),
        tests=[
            "tests/avatars/test_withdrawing.py::test_nothing_is_made_until_the_owner_agrees_again"
        ],
    ),
    # 4 Ownership
    Mutant(
        "4 photos of their owner",
        Cut(
            "avatars/views/photos.py",
            "FacePhoto.objects.filter(user=request.user).select_related",
            "FacePhoto.objects.select_related",
        ),
        tests=[ACCESS + "ben_sees_his_own_and_nothing_of_adas[face-get]"],
    ),
    Mutant(
        "4 a new address needs a row",
        Cut(
            "tests/test_access.py",
            "- Counter(list(ROWS))",
            "- Counter(list(ROWS)) - Counter(['new'])",
        ),
        tests=[ACCESS + "a_new_address_is_missed_here[new]"],
    ),
    # 5 Private media
    Mutant(
        "5 links are signed",
        Cut(
            "avatars/views/media.py",
            "known is None or not storage.is_valid_link(key, window, signature)",
            "known is None",
        ),
        tests=["tests/avatars/test_media.py::test_without_a_true_signature_there_is_nothing"],
    ),
    Mutant(
        "5 nobody keeps a page",
        Cut("config/middleware.py", '"Cache-Control", "private, no-store"', '"X-Cache", "any"'),
        tests=[HEADERS + "a_page_is_closed[gallery]"],
    ),
    # 6 CSRF
    Mutant(
        "6 a third view without CSRF",
        Cut(
            "avatars/views/reports.py",
            "def report_page(",
            "report.csrf_exempt = True\n\n\ndef report_page(",
        ),
        tests=[ACCESS + "exactly_two_views_are_exempt_from_csrf"],
    ),
    Mutant(
        "6 CSRF",
        Cut(SETTINGS, '    "django.middleware.csrf.CsrfViewMiddleware",\n', ""),
        tests=[ACCESS + "a_form_without_its_token_is_refused[job_cancel]"],
    ),
    Mutant(
        "6 looking changes nothing",
        Cut(
            "avatars/views/gallery.py",
            "@require_POST\ndef favourite(",
            "def favourite(",
        ),
        tests=[ACCESS + "looking_changes_nothing[avatar_favourite]"],
    ),
    # 7 Headers
    Mutant(
        "7 policy on every page",
        Cut(SETTINGS, '    "csp.middleware.CSPMiddleware",\n', ""),
        tests=[HEADERS + "a_page_of_staff_is_closed[accounts_user_changelist]"],
    ),
    Mutant(
        "7 no inline script",
        Cut(SETTINGS, '"script-src": [SELF]', '"script-src": [SELF, "\'unsafe-inline\'"]'),
        tests=[HEADERS + "a_page_is_closed[create]"],
    ),
    # 8 Sessions and throttles
    Mutant(
        "8 cookies of this site alone",
        Cut(SETTINGS, 'SESSION_COOKIE_SAMESITE = "Lax"', 'SESSION_COOKIE_SAMESITE = "None"'),
        tests=[HEADERS + "cookies_are_for_the_site_alone"],
    ),
    Mutant(
        "8 uploads are limited",
        Cut("avatars/views/photos.py", "@signed_in\n@limited(UPLOADS)", "@signed_in"),
        tests=[LIMITS + "one_more_than_the_limit_is_told_when_to_try_again[photos]"],
    ),
    Mutant(
        "8 one account is guarded",
        Cut(SETTINGS, '"login_failed": {"ip": 20, "key": 5}', '"login_failed": {"ip": 20}'),
        tests=[LIMITS + "one_account_is_guarded_from_everywhere_at_once"],
    ),
    Mutant(
        "8 forwarded addresses are the known proxy's",
        Cut(SETTINGS, "TRUSTED_PROXY_COUNT = PROXY_COUNT", "TRUSTED_PROXY_COUNT = 1"),
        tests=[
            LIMITS + "an_address_that_knocks_too_often_at_the_door_is_told_when_to_come_again"
            "[account_signup]"
        ],
    ),
    Mutant(
        "8 doorbells are limited",
        Cut("avatars/webhooks.py", "        KNOCKS.spend(caller)\n", ""),
        tests=[LIMITS + "whoever_guesses_doorbells_is_heard_no_more_and_others_are"],
    ),
    Mutant(
        "8 all processes count together",
        Cut(
            SETTINGS,
            'if not DEBUG and CACHES["default"]["BACKEND"] !=',
            "if DEBUG is None and 1 !=",
        ),
        tests=[
            STARTS + "a_deployment_refuses_stand_ins_any_host_and_what_only_one_process_can_reach"
        ],
    ),
    # 9 Staff
    Mutant(
        "9 a second factor of staff",
        Cut(
            "accounts/second_factor.py",
            "is_asked = settings.STAFF_SECOND_FACTOR and",
            "is_asked = False and",
        ),
        tests=["tests/accounts/test_second_factor.py::test_no_staff_page_opens_before"],
    ),
    Mutant(
        "9 a face opens for a reason",
        Cut(
            "avatars/views/openings.py",
            "    if not opening.is_open(photo, request.user):",
            "    if photo is None:",
        ),
        tests=[
            "tests/avatars/test_views_openings.py::test_nothing_is_shown_before_a_reason_is_given"
        ],
    ),
    # 10 Prompts and results
    Mutant(
        "10 control characters",
        Cut(
            "avatars/screening.py",
            ' or unicodedata.category(letter)[0] != "C"',
            " or unicodedata.category(letter)",
        ),
        tests=[
            "tests/avatars/test_screening.py::"
            "test_words_are_cleaned_of_control_characters_and_double_white_space"
        ],
    ),
    Mutant(
        "10 the provider's own check",
        Cut("avatars/face_gen.py", '"safety_checker": True', '"safety_checker": False'),
        tests=[
            "tests/avatars/test_face_gen.py::"
            "test_an_order_by_address_is_sent_field_by_field_as_agreed"
        ],
    ),
    Mutant(
        "10 a withheld picture is seen",
        Cut(IMAGING, "if is_blocked(picture):", "if picture is None:"),
        tests=["tests/avatars/test_blocked.py::test_a_withheld_picture_costs_nothing_and_says_so"],
    ),
    Mutant(
        "10 formulas",
        Cut(
            "accounts/views/statements.py", 'return f"\'{text}" if text', 'return f"{text}" if text'
        ),
        tests=["tests/accounts/test_views_statements.py::test_a_cell_never_begins_a_formula"],
    ),
    # 11 Outgoing calls and ways out
    Mutant(
        "11 the way back is ours",
        Cut(
            "config/urls.py",
            'return page if url_has_allowed_host_and_scheme(page, {request.get_host()}) else "/"',
            "return page",
        ),
        tests=[ODD + "an_expired_act_leads_back_to_the_page_it_stood_on"],
    ),
    # 12 Secrets
    Mutant(
        "12 nothing starts without its secrets",
        Cut(SETTINGS, "if not DEBUG and missing:", "if not DEBUG and not missing:"),
        tests=[STARTS + "everything_missing_is_named_in_one_sentence"],
    ),
    Mutant(
        "12 logs mask",
        Cut("config/logs.py", "        text = pattern.sub(replacement, text)\n", "        pass\n"),
        tests=[LOGS + "a_secret_never_reaches_a_line", LOGS + "a_fault_tells_nobody_what_it_held"],
    ),
    # 14 Tokens
    Mutant(
        "14 a face link ends",
        Cut("avatars/models/attempts.py", "            sent_at__gt=now - FACE_LINK_LIFE,\n", ""),
        tests=[
            "tests/avatars/test_sending.py::"
            "test_a_face_link_dies_after_five_reads_and_after_fifteen_minutes"
        ],
    ),
    # 15 Limits
    Mutant(
        "15 bodies end",
        Cut("config/middleware.py", "int(length) > LARGEST_BODY", "int(length) < 0"),
        tests=[ODD + "a_body_that_would_fill_the_disk_is_refused_unread"],
    ),
    # 16 Rights
    Mutant(
        "16 an export asks once more",
        Cut("avatars/views/belongings.py", "@reauthentication_required\n", ""),
        tests=[
            "tests/avatars/test_views_belongings.py::test_without_the_password_it_is_asked_for_first"
        ],
    ),
    Mutant(
        "16 closing asks once more",
        Cut("accounts/views/leaving.py", "@reauthentication_required\n", ""),
        tests=[
            "tests/accounts/test_views_leaving.py::test_whoever_closes_proves_once_more_who_they_are"
        ],
    ),
)
