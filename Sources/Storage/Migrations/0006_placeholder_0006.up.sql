set local role needletail_owner;
