-- A user's live sources below a folder, in the order of their paths, a page at a time.
SELECT uri FROM docproc.sources
 WHERE user_id = %(user)s AND uri > %(after)s AND starts_with(uri, %(prefix)s) AND withdrawn_at IS NULL
 ORDER BY uri LIMIT %(limit)s
