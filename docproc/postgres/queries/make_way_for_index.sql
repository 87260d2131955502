SELECT docproc.make_way_for_index(%(model)s, %(version)s, %(kind)s) AS free
