create or replace function postroad.address_hash(address text)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select 'address ' || left(encode(sha256(k.key || sha256(k.key || convert_to(address_hash.address, 'UTF8'))), 'hex'), 32)
  from postroad.address_key as k
$$;

comment on function postroad.address_hash is
$$What stands in the audit for an address as the suppression list keeps it: the same for the same address, and of no use to whoever guesses addresses without the key of this
installation.$$;
