create or replace function postroad.may_have_gone_out(message_id uuid)
returns boolean
language sql
stable
as $$
  select exists (
    select from postroad.delivery_events as e
    where e.message_id = may_have_gone_out.message_id
      and e.lease_id is not null
      and e.event_type = 'deferred'
      and e.detail ? 'in_doubt'
  )
$$;

comment on function postroad.may_have_gone_out is
'Whether an attempt of a message ended without an answer, or with the process that made it, and was made again: the first one may have gone out.';
