SELECT count(*) AS runs FROM docproc.runs r
 WHERE finished_at < clock_timestamp() - make_interval(secs => %(seconds)s)
   AND EXISTS (SELECT FROM docproc.runs l WHERE l.command = r.command AND l.finished_at > r.finished_at
                  AND (r.exit_code IS DISTINCT FROM 0 OR l.exit_code = 0))
