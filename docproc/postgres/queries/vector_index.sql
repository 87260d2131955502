SELECT name, statement, whole FROM docproc.vector_index(%(model)s, %(version)s, %(kind)s)
