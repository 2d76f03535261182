create or replace function postroad.intend(lease_ids uuid[], message_ids uuid[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into postroad.intents (lease_id, message_ids)
  select u.lease_id, array_agg(u.message_id)
  from (select unnest(lease_ids) as lease_id, unnest(message_ids) as message_id) as u
  group by u.lease_id;
end;
$$;

comment on function postroad.intend is
$$Records that these messages, whose on_unknown is hold, are about to be sent: if the worker dies before their outcome is recorded, they become unknown instead of
being sent again. Must be committed, durably, before the first of them is sent.$$;

revoke all on function postroad.intend from public;
grant execute on function postroad.intend to postroad_worker;
