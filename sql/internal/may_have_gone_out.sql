create or replace function postroad.may_have_gone_out(message_id uuid)
returns boolean
language sql
stable
as $$
  select exists (
    select from postroad.delivery_events as e
    where e.message_id = may_have_gone_out.message_id
      and e.lease_id is not null
      and (e.event_type = 'unknown' or e.event_type = 'deferred' and e.detail ? 'in_doubt')
      and not exists (                           -- its worker, taken for dead, told the end of it after all
        select from postroad.delivery_events as x
        where x.message_id = e.message_id
          and x.lease_id = e.lease_id
          and x.event_type not in ('unknown', 'deferred')
      )
  ) and not exists (
    select from postroad.delivery_events as e
    where e.message_id = may_have_gone_out.message_id
      and e.event_type = 'failed'
      and e.reason = 'settled'                   -- somebody knows that it did not
      and e.lease_id is null
  )
$$;

comment on function postroad.may_have_gone_out is
'Whether an attempt of a message ended without an answer, or with the process that made it: it may have gone out, whatever became of the next one.';
