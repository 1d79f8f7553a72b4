"""The one signal of ours, by which accounts speaks upward: an account closes.

Knows Django alone. Sent inside the transaction of the closing with `user`, `closing` and `now`;
whoever keeps something of that person answers in the same transaction, or undoes it by raising.
"""

from django.dispatch import Signal

account_closing = Signal()
