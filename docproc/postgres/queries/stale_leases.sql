SELECT count(*) AS jobs, min(claimed_by) AS owner, min(source) AS source
  FROM docproc.upload_jobs WHERE lease_until < clock_timestamp() - make_interval(secs => %(grace)s)
