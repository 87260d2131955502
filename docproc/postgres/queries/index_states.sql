-- Those of the named indexes that there are, and whether a build of each came to its end.
SELECT c.relname AS name, i.indisvalid AND i.indisready AS whole
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = to_regnamespace('docproc') AND c.relname = ANY(%(names)s::text[])
