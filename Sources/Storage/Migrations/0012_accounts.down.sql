drop function needletail_end_login_keys(uuid, uuid, timestamptz);
drop function needletail_check_departure(uuid);
drop function needletail_find_deleted_user(text);
drop function needletail_find_login(text, text);

set local role needletail_owner;
drop index idx_users_email_owners;
alter table api_keys drop column is_from_login;
