// Dashboards: where they are mounted, and what their options are given.
import { createServer } from 'node:http';
import express from 'express';
import Fastify from 'fastify';
import { createGuard, type Dashboard, type DashboardAction, dashboard } from 'sluice';

const guard = createGuard();
const page: Dashboard = guard.dashboard({
  path: '/sluice',
  readOnly: false,
  authorize: async (req) => req.headers.authorization === 'secret',
  user: (req) => String(req.headers['x-user']),
  showKey: (key) => key.slice(0, 3),
  allowedOrigins: ['https://admin.example.com'],
  onAction: ({ action, client, user, at }: DashboardAction) => {
    console.log(action, client?.length, user.length, at.toFixed());
  },
});

express().use('/sluice', page);
express().use('/sluice', dashboard());
Fastify().register(page.fastify, { prefix: '/sluice' });
createServer((req, res) => page(req, res, () => res.end()));

// @ts-expect-error: only true lets a request in
dashboard({ authorize: () => 'yes' });
// @ts-expect-error: no such option
dashboard({ readonly: false });
