// CommonJS and Nest, which sluice finds as its peer. Prints what was served.
require('reflect-metadata');
const { Controller, Get, Module } = require('@nestjs/common');
const { APP_GUARD, NestFactory } = require('@nestjs/core');
const { SluiceGuard, SluiceModule } = require('sluice/nestjs');

class Site {
  page() {
    return 'served';
  }
}
Get()(Site.prototype, 'page', Object.getOwnPropertyDescriptor(Site.prototype, 'page'));
Controller()(Site);

class App {}
Module({
  imports: [SluiceModule.forRoot({ rateLimit: { limit: 2, window: '1h' } })],
  controllers: [Site],
  providers: [{ provide: APP_GUARD, useClass: SluiceGuard }],
})(App);

async function main() {
  require('sluice/testing').manualClock();
  const app = await NestFactory.create(App, { logger: false });
  await app.listen(0, '127.0.0.1');
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await fetch(await app.getUrl())).status);
  console.log(JSON.stringify({ statuses }));
  process.exit();
}

main();
