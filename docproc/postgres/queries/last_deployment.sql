SELECT version FROM docproc.deployments WHERE outcome = 'done' ORDER BY deployment_id DESC LIMIT 1
