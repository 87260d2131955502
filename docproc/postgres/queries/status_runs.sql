-- The run that began last, and the one that ended well last.
(SELECT 'last' AS which, command, started_at, finished_at, exit_code FROM docproc.runs
  WHERE command NOT LIKE 'trial %%' ORDER BY started_at DESC LIMIT 1)
UNION ALL
(SELECT 'well', command, started_at, finished_at, exit_code FROM docproc.runs
  WHERE exit_code = 0 AND command NOT LIKE 'trial %%'
  ORDER BY finished_at DESC LIMIT 1)
