"""English dates as our pages write them: 22 November, 10:25. Django's names, RUF and N aside.

Read by Django through FORMAT_MODULE_PATH.
"""

DATE_FORMAT = "j F Y"
MONTH_DAY_FORMAT = "j F"
SHORT_DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j F Y, H:i"
SHORT_DATETIME_FORMAT = "j M Y, H:i"
