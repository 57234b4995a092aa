drop function needletail_recoverable_organization(text, text);
drop function needletail_organizations_of(uuid);
drop function needletail_invitation(bytea);
revoke insert (
    id, name, slug, billing_email, subscription_plan, settings, created_at, updated_at
) on organizations from needletail_app;
drop table invitations;
