"""Facts about a run -> one HTML page, and the same page served for review.

`web/` holds the page's sources; a build makes `page.html` of them, which
wants nothing but its data.
"""
