SELECT docproc.drop_unfinished_index(%(model)s, %(version)s, %(kind)s)
