-- A bulk send is found by its transactions, by which messages have an index: one by batch_id would cost each message of it more than all else that is asked of a bulk send.
create table postroad.bulk_transactions (
  batch_id uuid not null,
  xid      bigint not null default txid_current(),
  constraint bulk_transactions_pkey primary key (batch_id, xid)
);
comment on table postroad.bulk_transactions is
  'The transactions that enqueued recipients of a bulk send, one most often: see bulk_status. Written by enqueue_rows; dropped with the contents of their day.';
comment on column postroad.bulk_transactions.xid is 'As messages.xid.';
