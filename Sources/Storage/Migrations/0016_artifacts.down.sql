drop function needletail_purge_artifact_blobs(bigint);
drop function needletail_purge_artifact_uploads(timestamptz, bigint);
drop table artifact_uploads;
drop table artifacts;
drop table artifact_blobs;
