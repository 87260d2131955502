SELECT last_error ->> 'code' AS code, count(*) AS jobs, min(last_error ->> 'remedy') AS remedy
  FROM docproc.upload_jobs WHERE status = ANY (%(failed)s) GROUP BY 1 ORDER BY 2 DESC, 1
