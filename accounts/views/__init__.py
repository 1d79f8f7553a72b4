"""Pages of accounts: credits and their history, buying, refunds, statements, looks.

Each module knows the verbs it shows; none knows another but `guards` and `history`.
"""
