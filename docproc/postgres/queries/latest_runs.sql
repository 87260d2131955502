SELECT command, started_at, finished_at, exit_code, (summary ->> 'done')::bigint AS done,
       (summary ->> 'failed')::bigint AS failed
  FROM docproc.runs WHERE command NOT LIKE 'trial docproc-trial-%%'
 ORDER BY started_at DESC LIMIT %(limit)s
