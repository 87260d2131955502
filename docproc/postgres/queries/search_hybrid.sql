SELECT * FROM docproc.search_hybrid(%(query)s, %(words)s, %(limit)s, %(user)s, %(source)s, %(model)s, %(version)s)
