create database depot character set utf8mb4;
create table depot.shelves (
    id int primary key,
    hall varchar(20) not null
) comment = 'Where goods lie';
create table depot.goods (
    sku char(8) primary key,
    shelf int not null comment 'Its usual place',
    kind enum('food', 'tool', 'other') not null default 'other',
    weight decimal(8, 3),
    details json,
    foreign key (shelf) references depot.shelves (id)
) comment = 'What is kept';
insert into depot.shelves values (1, 'north'), (2, 'south');
insert into depot.goods values ('AAA-0001', 1, 'tool', 1.5, '{"colour": "red"}'), ('AAA-0002', 2, 'food', null, null);
create view depot.heavy_goods as select sku, weight from depot.goods where weight > 1;
