SELECT * FROM docproc.search(%(query)s, %(limit)s, %(user)s, %(source)s, %(model)s, %(version)s)
