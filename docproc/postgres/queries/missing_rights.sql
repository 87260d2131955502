-- Which rights the role lacks, as the statements that give them: those named, and with ``temporary`` that to make
-- temporary tables, without it those to use the schema and its functions.
SELECT format('GRANT %%s ON docproc.%%I TO %%I;', string_agg(w.privilege, ', ' ORDER BY w.privilege), w.name, current_user)
         AS remedy
  FROM unnest(%(tables)s::text[], %(privileges)s::text[]) AS w (name, privilege)
  JOIN pg_class c ON c.relname = w.name AND c.relnamespace = to_regnamespace('docproc')
 WHERE NOT has_table_privilege(c.oid, w.privilege)
 GROUP BY w.name
UNION ALL
SELECT format('GRANT USAGE ON SCHEMA docproc TO %%I;', current_user)
 WHERE NOT %(temporary)s::boolean AND NOT has_schema_privilege(to_regnamespace('docproc')::oid, 'USAGE')
UNION ALL
SELECT format('GRANT EXECUTE ON FUNCTION %%s TO %%I;', p.oid::regprocedure, current_user)
  FROM pg_proc p WHERE p.pronamespace = to_regnamespace('docproc') AND NOT %(temporary)s::boolean
   AND NOT has_function_privilege(p.oid, 'EXECUTE')
UNION ALL
SELECT format('GRANT TEMPORARY ON DATABASE %%I TO %%I;', current_database(), current_user)
 WHERE %(temporary)s::boolean AND NOT has_database_privilege(current_database(), 'TEMPORARY')
 ORDER BY 1
