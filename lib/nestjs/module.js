'use strict';

const { ConfigurableModuleBuilder, Inject, Module } = require('@nestjs/common');
const { DiscoveryModule, DiscoveryService, HttpAdapterHost, MetadataScanner } = require('@nestjs/core');
const { checkObject } = require('../runtime/schema');
const { SluiceApplication } = require('./application');
const { OWNER } = require('./decorators');
const { SluiceGuard } = require('./guard');

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder({
  moduleName: 'Sluice',
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createSluiceOptions')
  .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
  .build();

/** Creates the guard of an application, or attaches to it: `SluiceModule.forRoot(options)`. */
class SluiceModule extends ConfigurableModuleClass {
  #application;
  #adapterHost;
  #discovery;
  #scanner;

  static forRoot(options = {}) {
    checkObject(OWNER, options);
    return ConfigurableModuleClass.forRoot.call(SluiceModule, options);
  }

  constructor(application, adapterHost, discovery, scanner) {
    super();
    this.#application = application;
    this.#adapterHost = adapterHost;
    this.#discovery = discovery;
    this.#scanner = scanner;
  }

  onModuleInit() {
    for (const { metatype } of [...this.#discovery.getControllers(), ...this.#discovery.getProviders()]) {
      if (typeof metatype !== 'function' || metatype.prototype === undefined) continue;
      this.#application.declare(metatype, this.#scanner.getAllMethodNames(metatype.prototype));
    }
    // An application without HTTP has none.
    const server = this.#adapterHost?.httpAdapter?.getHttpServer?.();
    if (typeof server?.prependListener === 'function') this.#application.attach(server);
  }
}

for (const [index, token] of [
  SluiceApplication,
  HttpAdapterHost,
  DiscoveryService,
  MetadataScanner,
].entries())
  Inject(token)(SluiceModule, undefined, index);

Module({
  imports: [DiscoveryModule],
  providers: [
    {
      provide: SluiceApplication,
      useFactory: (options) => new SluiceApplication(options),
      inject: [MODULE_OPTIONS_TOKEN],
    },
    SluiceGuard,
    MetadataScanner,
  ],
  exports: [SluiceApplication, SluiceGuard],
})(SluiceModule);

module.exports = { SluiceModule };
