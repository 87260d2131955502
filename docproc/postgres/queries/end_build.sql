DELETE FROM docproc.index_builds WHERE name = %(name)s
