-- A job in a state that no move leads to or from would stay there for ever.
SELECT count(*) || ' jobs stand in a state that no move knows: ' || string_agg(DISTINCT j.status, ', ') AS problem
  FROM docproc.upload_jobs j
 WHERE NOT EXISTS (SELECT FROM docproc.legal_moves m WHERE j.status IN (m.source, m.target))
HAVING count(*) > 0
UNION ALL
SELECT count(*) || ' open jobs stand in a state that no move leaves: ' || string_agg(DISTINCT j.status, ', ')
  FROM docproc.upload_jobs j
 WHERE NOT j.is_final AND NOT EXISTS (SELECT FROM docproc.legal_moves m WHERE m.source = j.status)
HAVING count(*) > 0
